package ipc

import "math"

// simple reads false, true, null, or a float in its shortest form (RFC 8949 section 4.2.1): a float that fits a smaller
// size must use it, and there is one NaN. Undefined and the unassigned simple values have no meaning in our types.
func (c *cursor) simple() {
	info := c.data[c.pos] & 31
	_, n := c.head()
	switch {
	case info < 20 || info == 23 || info == 24:
		c.fail("simple value without meaning here")
	case info == 25 && n&0x7c00 == 0x7c00 && n&0x03ff != 0 && n != 0x7e00:
		c.fail("NaN in another form than f97e00")
	case info == 26 && fitsHalf(float64(math.Float32frombits(uint32(n)))):
		c.fail("float not in its shortest form")
	case info == 27 && fitsSingle(math.Float64frombits(n)):
		c.fail("float not in its shortest form")
	}
}

func fitsSingle(f float64) bool { return math.IsNaN(f) || float64(float32(f)) == f }

// fitsHalf reports whether f is a binary16 number: 11 significant bits, exponent -14 to 15, or a multiple of 2^-24 below.
func fitsHalf(f float64) bool {
	if math.IsNaN(f) || math.IsInf(f, 0) || f == 0 {
		return true
	}
	fraction, exponent := math.Frexp(math.Abs(f)) // f = fraction * 2^exponent, fraction in [0.5, 1)
	if exponent > 16 {
		return false
	}
	unit := max(exponent-11, -24) // the weight of the last bit that a half can hold
	scaled := math.Ldexp(fraction, exponent-unit)
	return scaled == math.Trunc(scaled)
}
