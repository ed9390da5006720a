// `require`, over the modules that there are.
(modules) =>
  function require(name) {
    if (typeof name !== "string" || !Object.hasOwn(modules, name)) {
      throw new Error(`Cannot find module "${String(name)}"`);
    }
    return modules[name];
  }
