// Freezes all that code can reach without having made it, so that no call can leave anything for the next one
// there.
//
// A frozen prototype also forbids what is no leftover at all: to give an object of one's own a property of
// the same name (ES2015 §10.1.9.2, the "override mistake"). For the names for which people do that, a pair of
// accessors stands in for the value. Not for the prototypes of Array, Promise and RegExp: the language looks
// up their `constructor` at every turn.
(made) => {
  const { create, defineProperty, freeze, getOwnPropertyDescriptor, getPrototypeOf, hasOwn } = Object;
  const { ownKeys } = Reflect;

  const reachable = [];
  const seen = new Set();
  const visit = (value) => {
    if ((typeof value === "object" && value !== null) || typeof value === "function") {
      if (!seen.has(value)) {
        seen.add(value);
        reachable.push(value);
      }
    }
  };

  visit(globalThis);
  made.forEach(visit);
  // What only syntax and iteration lead to.
  const iterator = Symbol.iterator;
  for (const hidden of [
    function () {}, async function () {}, function* () {}, async function* () {},
    (function* () {})(), (async function* () {})(),
    [][iterator](), ""[iterator](), new Map()[iterator](), new Set()[iterator](), "".matchAll(/./g),
    Iterator.from({ next() {} }), [].values().map(String), Iterator.concat(),
  ]) {
    visit(getPrototypeOf(hidden));
  }

  for (const object of reachable) {
    visit(getPrototypeOf(object));
    const keys = ownKeys(object);
    // Nearly all are functions with a length and a name, which lead nowhere.
    if (keys.length === 2 && keys[0] === "length" && keys[1] === "name") {
      continue;
    }
    for (const key of keys) {
      const property = getOwnPropertyDescriptor(object, key);
      visit(property.value);
      visit(property.get);
      visit(property.set);
    }
  }

  const makeOverridable = (prototype, name) => {
    const property = getOwnPropertyDescriptor(prototype, name);
    if (property === undefined || !hasOwn(property, "value") || !property.configurable) {
      return;
    }
    const { value, enumerable } = property;
    const accessors = {
      get() {
        return value;
      },
      set(own) {
        if (this === prototype || (typeof this !== "object" && typeof this !== "function")) {
          throw new TypeError(`'${String(name)}' is read-only`);
        }
        if (hasOwn(this, name)) {
          this[name] = own;
        } else {
          defineProperty(this, name, { value: own, writable: true, enumerable: true, configurable: true });
        }
      },
    };
    freeze(accessors.get);
    freeze(accessors.set);
    defineProperty(prototype, name, { get: accessors.get, set: accessors.set, enumerable, configurable: false });
  };

  for (const name of ownKeys(Object.prototype)) {
    makeOverridable(Object.prototype, name);
  }
  for (const name of ["toString", "bind", "call", "apply"]) {
    makeOverridable(Function.prototype, name);
  }
  const errors = [Error, AggregateError, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError, InternalError];
  for (const { prototype } of errors) {
    for (const name of ["constructor", "name", "message", "toString"]) {
      makeOverridable(prototype, name);
    }
  }
  for (const { prototype } of [Array, Date, Map, Set, Promise, RegExp, String, Number, Boolean]) {
    for (const name of ["toString", "valueOf", "toJSON", "toLocaleString"]) {
      makeOverridable(prototype, name);
    }
  }

  reachable.forEach((object) => freeze(object));
}
