// The language as functions get it: what of JavaScript is taken away, frozen in time or added. Evaluated once
// per context, strict, before any customer's code; `natives` are the functions of natives.rs.
(natives) => {
  const { defineProperty, getPrototypeOf } = Object;
  const { construct } = Reflect;
  const put = (object, name, value) => defineProperty(object, name, { value, writable: true, configurable: true });

  // Shared memory, microtasks that nobody awaits, and two settings of the engine that outlive a call.
  for (const name of ["queueMicrotask", "Atomics", "SharedArrayBuffer", "DisposableStack", "AsyncDisposableStack"]) {
    delete globalThis[name];
  }
  delete Error.stackTraceLimit;
  delete Error.prepareStackTrace;

  // No code from strings. The real constructors are reachable through prototypes only, so those lead to
  // these.
  const noCode = (name) => {
    const refuse = function () {
      throw new TypeError(name + ": code cannot be made from strings");
    };
    return defineProperty(refuse, "name", { value: name });
  };
  const kinds = [function () {}, async function () {}, function* () {}, async function* () {}];
  for (const kind of kinds) {
    const prototype = getPrototypeOf(kind);
    const constructor = noCode(prototype.constructor.name);
    defineProperty(constructor, "prototype", { value: prototype, writable: false });
    defineProperty(prototype, "constructor", { value: constructor });
  }
  put(globalThis, "Function", Function.prototype.constructor);
  put(globalThis, "eval", noCode("eval"));

  // Time stands still during a call.
  const RealDate = Date;
  const CallDate = function Date(...parts) {
    if (new.target === undefined) {
      return new RealDate(natives.now()).toString();
    }
    return construct(RealDate, parts.length === 0 ? [natives.now()] : parts, new.target);
  };
  put(CallDate, "now", { now: () => natives.now() }.now);
  put(CallDate, "parse", RealDate.parse);
  put(CallDate, "UTC", RealDate.UTC);
  defineProperty(CallDate, "length", { value: 7 });
  defineProperty(CallDate, "prototype", { value: RealDate.prototype, writable: false });
  put(RealDate.prototype, "constructor", CallDate);
  put(globalThis, "Date", CallDate);

  // The engine's own generator would let one call foretell the numbers of the next.
  put(Math, "random", { random: () => natives.random() }.random);

  const { stringify } = JSON;
  const errorText = Error.prototype.toString;
  const describe = (value) => {
    if (typeof value !== "object" || value === null) {
      return String(value);
    }
    try {
      return Error.isError(value) ? errorText.call(value) : stringify(value) ?? String(value);
    } catch {
      return "[object]"; // a cycle, or a toJSON that throws
    }
  };
  put(globalThis, "console", {
    log(value) {
      natives.log(describe(value).slice(0, 10240).toWellFormed());
    },
  });

  class TextEncoder {
    get encoding() {
      return "utf-8";
    }
    encode(text = "") {
      return natives.decode(String(text).toWellFormed(), "utf8");
    }
  }

  class TextDecoder {
    #fatal;
    #ignoreBOM;
    constructor(label = "utf-8", options = {}) {
      if (!["utf-8", "utf8", "unicode-1-1-utf-8"].includes(String(label).trim().toLowerCase())) {
        throw new RangeError("only utf-8 can be decoded");
      }
      this.#fatal = Boolean(options.fatal);
      this.#ignoreBOM = Boolean(options.ignoreBOM);
    }
    get encoding() {
      return "utf-8";
    }
    get fatal() {
      return this.#fatal;
    }
    get ignoreBOM() {
      return this.#ignoreBOM;
    }
    decode(input = new Uint8Array(0)) {
      const text = natives.utf8(octets(input), this.#fatal);
      return !this.#ignoreBOM && text.startsWith("\ufeff") ? text.slice(1) : text;
    }
  }

  const octets = (input) => {
    if (input instanceof ArrayBuffer) {
      return new Uint8Array(input);
    }
    if (ArrayBuffer.isView(input)) {
      return new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
    }
    throw new TypeError("not an ArrayBuffer, nor a view of one");
  };

  put(globalThis, "TextEncoder", TextEncoder);
  put(globalThis, "TextDecoder", TextDecoder);
  put(globalThis, "btoa", { btoa: (text) => natives.btoa(String(text).toWellFormed()) }.btoa);
  put(globalThis, "atob", { atob: (text) => natives.atob(String(text).toWellFormed()) }.atob);
}
