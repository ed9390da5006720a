// The modules `buffer`, `crypto` and `querystring`, as far as the service documents them. Evaluated only for
// code that mentions one.
(natives) => {
  const encodings = {
    __proto__: null, utf8: "utf8", "utf-8": "utf8", hex: "hex", base64: "base64", base64url: "base64url",
    latin1: "latin1", binary: "latin1", ascii: "latin1",
  };
  const encodingOf = (name) => {
    const encoding = encodings[name === undefined ? "utf8" : String(name).toLowerCase()];
    if (encoding === undefined) {
      throw new TypeError(`Unknown encoding: ${String(name)}`);
    }
    return encoding;
  };

  const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

  class Buffer extends Uint8Array {
    static from(value, encodingOrOffset, length) {
      if (typeof value === "string") {
        return adopt(natives.decode(value.toWellFormed(), encodingOf(encodingOrOffset)));
      }
      if (value instanceof ArrayBuffer) {
        return new Buffer(value, encodingOrOffset, length);
      }
      if (value?.type === "Buffer" && Array.isArray(value.data)) {
        return new Buffer(value.data);
      }
      if (Array.isArray(value) || ArrayBuffer.isView(value)) {
        return new Buffer(value);
      }
      throw new TypeError("Buffer.from takes a string, an array, a buffer or an ArrayBuffer");
    }
    static alloc(size, fill, encoding) {
      const made = new Buffer(size);
      return fill === undefined ? made : made.fill(fill, encoding);
    }
    static allocUnsafe(size) {
      return new Buffer(size);
    }
    static byteLength(value, encoding) {
      return typeof value === "string" ? Buffer.from(value, encoding).length : value.byteLength;
    }
    static compare(a, b) {
      return Buffer.from(a).compare(b);
    }
    static concat(list, total) {
      const wanted = total ?? list.reduce((sum, part) => sum + part.length, 0);
      const made = new Buffer(wanted);
      let at = 0;
      for (const part of list) {
        const fitting = part.subarray(0, Math.max(0, wanted - at));
        made.set(fitting, at);
        at += fitting.length;
      }
      return made;
    }
    static isBuffer(value) {
      return value instanceof Buffer;
    }
    static isEncoding(name) {
      return encodings[String(name).toLowerCase()] !== undefined;
    }

    toString(encoding, start = 0, end = this.length) {
      return natives.encode(this.subarray(start, end), encodingOf(encoding));
    }
    toJSON() {
      return { type: "Buffer", data: Array.from(this) };
    }
    slice(start, end) {
      return this.subarray(start, end);
    }
    equals(other) {
      return this.compare(other) === 0;
    }
    compare(other) {
      const shared = Math.min(this.length, other.length);
      for (let at = 0; at < shared; at++) {
        if (this[at] !== other[at]) {
          return this[at] < other[at] ? -1 : 1;
        }
      }
      return Math.sign(this.length - other.length);
    }
    copy(target, targetStart = 0, start = 0, end = this.length) {
      const part = this.subarray(start, Math.min(end, start + target.length - targetStart));
      target.set(part, targetStart);
      return part.length;
    }
    fill(value, ...rest) {
      const last = rest.at(-1);
      const encoding = typeof last === "string" ? rest.pop() : undefined;
      const [start = 0, end = this.length] = rest;
      if (typeof value === "number") {
        return super.fill(value, start, end);
      }
      const pattern = Buffer.from(value, encoding);
      for (let at = start; at < end; at++) {
        this[at] = pattern.length === 0 ? 0 : pattern[(at - start) % pattern.length];
      }
      return this;
    }
    write(text, ...rest) {
      const encoding = typeof rest.at(-1) === "string" ? rest.pop() : undefined;
      const [offset = 0, length = this.length - offset] = rest;
      return Buffer.from(text, encoding).copy(this.subarray(0, offset + length), offset);
    }
    indexOf(value, from = 0, encoding) {
      if (typeof value === "number") {
        return super.indexOf(value & 255, from);
      }
      const wanted = Buffer.from(value, encoding);
      for (let at = from < 0 ? Math.max(0, this.length + from) : from; at + wanted.length <= this.length; at++) {
        if (wanted.every((octet, index) => octet === this[at + index])) {
          return at;
        }
      }
      return -1;
    }
    includes(value, from, encoding) {
      return this.indexOf(value, from, encoding) !== -1;
    }
  }

  const adopt = (bytes) => new Buffer(bytes.buffer, bytes.byteOffset, bytes.byteLength);

  // readUInt16BE and its siblings.
  const numbers = {
    UInt8: ["Uint8", 1], Int8: ["Int8", 1], UInt16: ["Uint16", 2], Int16: ["Int16", 2], UInt32: ["Uint32", 4], Int32: ["Int32", 4],
    Float: ["Float32", 4], Double: ["Float64", 8],
  };
  for (const [name, [type, size]] of Object.entries(numbers)) {
    for (const order of size === 1 ? [""] : ["BE", "LE"]) {
      const isLittle = order === "LE";
      const methods = {
        read(offset = 0) {
          return viewOf(this)[`get${type}`](offset, isLittle);
        },
        write(value, offset = 0) {
          viewOf(this)[`set${type}`](offset, value, isLittle);
          return offset + size;
        },
      };
      for (const verb of ["read", "write"]) {
        const property = { value: methods[verb], writable: true, configurable: true };
        Object.defineProperty(Buffer.prototype, `${verb}${name}${order}`, property);
      }
    }
  }

  const bytesOf = (data, encoding) => {
    if (typeof data === "string") {
      return Buffer.from(data, encoding);
    }
    if (ArrayBuffer.isView(data)) {
      return new Buffer(data.buffer, data.byteOffset, data.byteLength);
    }
    if (data instanceof ArrayBuffer) {
      return new Buffer(data);
    }
    throw new TypeError("data is a string, a Buffer or an ArrayBuffer");
  };

  const digester = (algorithm, key) => {
    if (!["md5", "sha1", "sha256"].includes(algorithm)) {
      throw new TypeError(`not supported algorithm: "${String(algorithm)}"`);
    }
    let parts = [];
    return {
      update(data, encoding) {
        if (parts === undefined) {
          throw new Error("Digest already called");
        }
        parts.push(Buffer.concat([bytesOf(data, encoding)]));
        return this;
      },
      digest(encoding) {
        if (parts === undefined) {
          throw new Error("Digest already called");
        }
        const result = adopt(natives.digest(algorithm, key, Buffer.concat(parts)));
        parts = undefined;
        return encoding === undefined ? result : result.toString(encoding);
      },
    };
  };

  const crypto = {
    createHash: (algorithm) => digester(algorithm, undefined),
    createHmac: (algorithm, key) => digester(algorithm, Buffer.concat([bytesOf(key)])),
  };

  const escape = (text) => encodeURIComponent(text);
  const unescape = (text) => {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  };
  const parse = (text, separator = "&", equals = "=", options = {}) => {
    const { maxKeys = 1000, decodeURIComponent: decode = unescape } = options;
    const parsed = { __proto__: null };
    const pairs = String(text).split(separator).filter((pair) => pair !== "");
    for (const pair of maxKeys > 0 ? pairs.slice(0, maxKeys) : pairs) {
      const at = pair.indexOf(equals);
      const [name, value] = at < 0 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + equals.length)];
      const key = decode(name.replaceAll("+", " "));
      const decoded = decode(value.replaceAll("+", " "));
      parsed[key] = key in parsed ? [].concat(parsed[key], decoded) : decoded;
    }
    return parsed;
  };
  const primitive = (value) => (["string", "number", "bigint", "boolean"].includes(typeof value) ? String(value) : "");
  const stringify = (object, separator = "&", equals = "=", options = {}) => {
    const { encodeURIComponent: encode = escape } = options;
    const pairs = Object.entries(object ?? {}).flatMap(([key, value]) =>
      (Array.isArray(value) ? value : [value]).map((one) => encode(key) + equals + encode(primitive(one))),
    );
    return pairs.join(separator);
  };
  const querystring = { parse, decode: parse, stringify, encode: stringify, escape, unescape };

  Object.defineProperty(globalThis, "Buffer", { value: Buffer, writable: true, configurable: true });
  return { buffer: { Buffer }, crypto, querystring };
}
