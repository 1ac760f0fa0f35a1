// A validator for CDDL (RFC 8610), written from the RFC and sharing nothing with what writes lnk's CDDL or encodes its
// messages. It reads {"cddl": text, "items": [{"rule": name, "hex": data}, …]} from standard input and prints a list
// that has null for each item that the rule admits and the reason for each other.
//
// No package on npm validates CBOR with integer keys. On what the tests ask, its verdicts were compared with those of
// cddl-verifier 1.5.3 (PyPI): they are the same, but that this one insists on deterministic encoding as well.
import { readFileSync } from 'node:fs'
import peggy from 'peggy'
import { decode } from './cbor.mjs'

const parser = peggy.generate(readFileSync(new URL('cddl.peggy', import.meta.url), 'utf8'))

// The standard prelude (appendix D). Its names cannot be defined again; those without a test have tags, which lnk does not use.
const prelude = {
  any: () => true,
  uint: n => n.is === 'int' && n.value >= 0n,
  nint: n => n.is === 'int' && n.value < 0n,
  int: n => n.is === 'int',
  bstr: n => n.is === 'bytes',
  bytes: n => n.is === 'bytes',
  tstr: n => n.is === 'text',
  text: n => n.is === 'text',
  float: n => n.is === 'float',
  number: n => n.is === 'int' || n.is === 'float',
  bool: n => n.is === 'bool',
  true: n => n.is === 'bool' && n.value,
  false: n => n.is === 'bool' && !n.value,
  null: n => n.is === 'null',
  nil: n => n.is === 'null'
}
const tagged = ['tdate', 'time', 'biguint', 'bignint', 'bigint', 'integer', 'unsigned', 'decfrac', 'bigfloat', 'eb64url',
  'eb64legacy', 'eb16', 'encoded-cbor', 'uri', 'b64url', 'b64legacy', 'regexp', 'mime-message', 'cbor-any', 'float16', 'float32',
  'float64', 'float16-32', 'float32-64', 'undefined']

class Mismatch extends Error {
  constructor (path, reason) {
    super(`at ${path || '/'}: ${reason}`)
    this.depth = path.length
  }
}

class Spec {
  constructor (text) {
    this.rules = new Map()
    for (const { name, type } of parser.parse(text)) {
      if (this.rules.has(name) || name in prelude || tagged.includes(name)) throw new Error(`${name} is defined twice`)
      this.rules.set(name, type)
    }
    for (const type of this.rules.values()) this.resolve(type)
  }

  // resolve throws if type refers to what is not there.
  resolve (type) {
    if (type.kind === 'name' && !this.rules.has(type.name) && !(type.name in prelude)) throw new Error(`${type.name} is not defined`)
    if (type.kind === 'control' && !(type.op in controls)) throw new Error(`.${type.op} is not supported`)
    for (const t of [type.left, type.right, ...type.of ?? []]) if (t) this.resolve(t)
    for (const e of type.entries ?? []) {
      this.resolve(e.type)
      if (e.key) this.resolve(e.key)
    }
  }

  // verdict returns null if the rule admits what bytes encode, else the reason.
  verdict (rule, bytes) {
    if (!this.rules.has(rule)) throw new Error(`there is no rule ${rule}`)
    return mismatch(() => this.match(this.rules.get(rule), decoded(bytes, ''), ''))?.message ?? null
  }

  admits (type, node) {
    return !mismatch(() => this.match(type, node, ''))
  }

  // match throws a Mismatch if type does not admit node.
  match (type, node, path) {
    switch (type.kind) {
      case 'choice': return this.matchChoice(type.of, node, path)
      case 'map': return this.matchMap(type.entries, node, path)
      case 'array': return this.matchArray(type.entries, node, path)
      case 'range': return need(inRange(type, node), path, 'not in the range')
      case 'value': return need(node.is === type.is && node.value === type.value, path, `not ${JSON.stringify(String(type.value))}`)
      case 'control':
        this.match(type.left, node, path)
        return controls[type.op](this, type.right, node, path)
    }
    if (this.rules.has(type.name)) return this.match(this.rules.get(type.name), node, path)
    need(prelude[type.name](node), path, `${node.is}, not ${type.name}`)
  }

  // matchChoice blames the alternative that came furthest.
  matchChoice (types, node, path) {
    const failures = []
    for (const type of types) {
      const failure = mismatch(() => this.match(type, node, path))
      if (!failure) return
      failures.push(failure)
    }
    throw failures.reduce((a, b) => b.depth > a.depth ? b : a)
  }

  // matchMap goes by section 3.5.4: a literal key decides what its value must be, other entries take what is left.
  matchMap (entries, node, path) {
    need(node.is === 'map', path, `${node.is}, not a map`)
    const left = new Set(node.pairs)
    const literal = e => e.key?.kind === 'value'
    for (const e of entries.filter(literal)) {
      const pair = node.pairs.find(p => this.admits(e.key, p.key))
      need(pair || e.times[0] === 0, path, `no key ${e.key.value}`)
      if (pair) this.match(e.type, pair.value, `${path}/${e.key.value}`)
      left.delete(pair)
    }
    for (const e of entries.filter(e => !literal(e))) {
      const taken = [...left].filter(p => this.admits(e.key, p.key) && this.admits(e.type, p.value)).slice(0, e.times[1])
      need(taken.length >= e.times[0], path, 'too few entries')
      for (const p of taken) left.delete(p)
    }
    for (const p of left) throw new Mismatch(`${path}/${p.key.value}`, 'no entry admits this key and value')
  }

  // matchArray lets each entry take as many items as it can, and never gives one back; lnk writes no array that would need it.
  matchArray (entries, node, path) {
    need(node.is === 'array', path, `${node.is}, not an array`)
    let at = 0
    for (const { type, times: [min, max] } of entries) {
      let n = 0
      const wanted = () => n < min || type === entries.at(-1).type || this.admits(type, node.items[at])
      for (; n < max && at < node.items.length && wanted(); n++, at++) this.match(type, node.items[at], `${path}/${at}`)
      need(n >= min, path, 'too few items')
    }
    need(at === node.items.length, path, 'too many items')
  }
}

// Section 3.8. Each throws if the control type does not admit node, which the target type admits.
const controls = {
  size (spec, type, node, path) {
    const limit = { is: 'int', value: BigInt(sizeOf(node)) }
    if (node.is === 'int') need(type.kind === 'value' && node.value < 256n ** type.value, path, 'too large')
    else need(spec.admits(type, limit), path, `${limit.value} bytes`)
  },
  cbor: (spec, type, node, path) => spec.match(type, decoded(node.value, path), `${path}/cbor`),
  lt: compare((a, b) => a < b),
  le: compare((a, b) => a <= b),
  gt: compare((a, b) => a > b),
  ge: compare((a, b) => a >= b),
  eq: compare((a, b) => a === b),
  ne: compare((a, b) => a !== b)
}

function compare (holds) {
  return (spec, type, node, path) => need(type.kind === 'value' && holds(node.value, type.value), path, `${node.value} is out of bounds`)
}

function sizeOf (node) {
  switch (node.is) {
    case 'bytes': return node.value.length
    case 'text': return Buffer.byteLength(node.value)
    case 'int': return 0
  }
  throw new Error(`.size of ${node.is}`)
}

function inRange ({ left, right, open }, node) {
  return node.is === left.is && node.value >= left.value && (open ? node.value < right.value : node.value <= right.value)
}

function need (condition, path, reason) {
  if (!condition) throw new Mismatch(path, reason)
}

// mismatch returns the Mismatch that body throws, undefined if it throws none.
function mismatch (body) {
  try {
    body()
  } catch (error) {
    if (error instanceof Mismatch) return error
    throw error
  }
}

function decoded (bytes, path) {
  try {
    return decode(bytes)
  } catch (error) {
    throw new Mismatch(path, error.message)
  }
}

const { cddl, items } = JSON.parse(readFileSync(0, 'utf8'))
const spec = new Spec(cddl)
process.stdout.write(JSON.stringify(items.map(({ rule, hex }) => spec.verdict(rule, Buffer.from(hex, 'hex')))))
