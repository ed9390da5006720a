// The module `cloudfront`: what `import cf from 'cloudfront'` brings. One object for all calls; it keeps
// nothing.
(natives) => {
  const resolve = Promise.resolve.bind(Promise);
  const reject = Promise.reject.bind(Promise);
  const yes = resolve(true);
  const no = resolve(false);
  const { parse } = JSON;
  const noString = () => reject(new TypeError("a key is a string"));

  const read = (value, format) => {
    switch (format) {
      case undefined:
      case "string":
        return value;
      case "json":
        return parse(value);
      case "bytes":
        return natives.decode(value, "utf8");
      default:
        throw new TypeError("format is one of string, json, bytes");
    }
  };

  const store = {
    get(key, options) {
      if (typeof key !== "string") {
        return noString();
      }
      const value = natives.get(key);
      if (value === undefined) {
        return reject(new Error(`Key not found: ${key}`));
      }
      if (options === undefined) {
        return resolve(value);
      }
      try {
        return resolve(read(value, options?.format));
      } catch (error) {
        return reject(error);
      }
    },
    exists(key) {
      if (typeof key !== "string") {
        return noString();
      }
      return natives.exists(key) ? yes : no;
    },
    meta() {
      return resolve({
        creationDateTime: new Date(natives.created()).toISOString(),
        lastUpdatedDateTime: new Date(natives.lastUpdated()).toISOString(),
        keyCount: natives.count(),
      });
    },
    count() {
      return resolve(natives.count());
    },
  };

  const cf = {
    kvs(id) {
      const { storeName } = natives;
      if (storeName === undefined) {
        throw new Error("this function has no key_value_store");
      }
      if (id !== undefined && id !== storeName) {
        throw new Error(`this function's key_value_store is ${storeName}, not ${String(id)}`);
      }
      return store;
    },
  };

  return { module: cf, shared: [store, yes, no] };
}
