package cli

import (
	"reflect"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

type upper string

func (u *upper) UnmarshalText(text []byte) error { *u = upper("<" + string(text) + ">"); return nil }

type common struct {
	Name string `json:"name" help:"a name"`
}

type everything struct {
	common
	Project upper         `arg:"PROJECT"`
	Refs    []string      `arg:"[REF...]"`
	Idle    time.Duration `json:"idle_time,omitempty" help:"a time"`
	Many    []string      `json:"many" short:"m" help:"some"`
	Bytes   []byte        `json:"bytes" help:"hex"`
	Flag    bool          `json:"flag" help:"yes or no"`
	Small   uint8         `json:"small" help:"0..255"`
	Maybe   *int64        `json:"maybe" help:"perhaps"`
	Hidden  string        `json:"-"`
}

func TestBind(t *testing.T) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	got := everything{Idle: time.Minute}
	positional := bind(flags, &got)
	if err := flags.Parse([]string{"p", "-m", "a", "--many=b", "--bytes", "00ff", "--flag", "r1", "--small", "255", "--maybe", "-7", "--name", "n", "r2"}); err != nil {
		t.Fatal(err)
	}
	if err := positional.set(flags.Args()); err != nil {
		t.Fatal(err)
	}
	seven := int64(-7)
	want := everything{common{"n"}, "<p>", []string{"r1", "r2"}, time.Minute, []string{"a", "b"}, []byte{0, 255}, true, 255, &seven, ""}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if flags.Lookup("hidden") != nil || positional.usage() != " PROJECT [REF...]" {
		t.Errorf("usage %q", positional.usage())
	}
	if def := flags.Lookup("idle-time").DefValue; def != "1m0s" {
		t.Errorf("default of --idle-time is %q", def)
	}
}

func TestBindTimes(t *testing.T) {
	for text, want := range map[string]time.Duration{"90s": 90 * time.Second, "1h30m": 90 * time.Minute, "30d": 720 * time.Hour, "0": 0} {
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		var got everything
		bind(flags, &got)
		if err := flags.Parse([]string{"--idle-time", text}); err != nil || got.Idle != want {
			t.Errorf("%s is read as %s, %v", text, got.Idle, err)
		}
	}
}

func TestBindRefuses(t *testing.T) {
	for _, words := range [][]string{
		{"--small", "256"}, {"--small", "-1"}, {"--maybe", "x"}, {"--bytes", "0"}, {"--bytes", "zz"}, {"--idle-time", "5"}, {"--idle-time", "d"}, {"--idle-time", "-1d"}, {"--idle-time", "99999d"}, {"--flag=7"}, {"--nope"},
	} {
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		bind(flags, new(everything))
		if err := flags.Parse(words); err == nil {
			t.Errorf("%q was accepted", words)
		}
	}
}

func TestPositionals(t *testing.T) {
	type two struct {
		First  string   `arg:"FIRST"`
		Second string   `arg:"[SECOND]"`
		Rest   []string `json:"-"`
	}
	for _, test := range []struct {
		words []string
		err   string
	}{
		{nil, "FIRST is missing"},
		{[]string{"a"}, ""},
		{[]string{"a", "b"}, ""},
		{[]string{"a", "b", "c"}, `unexpected argument "c"`},
	} {
		err := bind(pflag.NewFlagSet("", pflag.ContinueOnError), new(two)).set(test.words)
		if err == nil != (test.err == "") || err != nil && err.Error() != test.err {
			t.Errorf("%q: %v, want %q", test.words, err, test.err)
		}
	}
}
