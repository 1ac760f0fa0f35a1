// CBOR (RFC 8949) as a tree that keeps what JavaScript's own values lose: integers apart from floats, maps as pairs.
import { Tokenizer } from 'cborg'

// decode returns the one item that bytes are, or throws. Bytes that are not the deterministic encoding of section 4.2.1 are an
// error, but for floats, whose length the tokenizer does not tell.
export function decode (bytes) {
  const tokens = new Tokenizer(bytes, { strict: true, allowIndefinite: false, allowUndefined: false, allowBigInt: true })
  const item = read(tokens, bytes)
  if (!tokens.done()) throw new Error('bytes behind the item')
  return item
}

function read (tokens, bytes) {
  if (tokens.done()) throw new Error('the item is cut off')
  const { type, value } = tokens.next()
  switch (type.name) {
    case 'uint': case 'negint': return { is: 'int', value: BigInt(value) }
    case 'bytes': case 'float': case 'null': return { is: type.name, value }
    case 'string': return { is: 'text', value }
    case 'true': case 'false': return { is: 'bool', value }
    case 'array': return { is: 'array', items: Array.from({ length: value }, () => read(tokens, bytes)) }
    case 'map': return { is: 'map', pairs: readPairs(value, tokens, bytes) }
  }
  throw new Error(`${type.name} is not allowed`)
}

function readPairs (count, tokens, bytes) {
  const pairs = []
  for (let last; pairs.length < count;) {
    const start = tokens.pos()
    const key = read(tokens, bytes)
    const encoded = Buffer.from(bytes.subarray(start, tokens.pos()))
    if (last && Buffer.compare(last, encoded) >= 0) throw new Error('map keys do not ascend')
    last = encoded
    pairs.push({ key, value: read(tokens, bytes) })
  }
  return pairs
}
