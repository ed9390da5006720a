// What `handler` gets and what of `cf` is for viewer functions alone. Makers of plain objects, called from
// viewer/call.rs.
(natives, cf) => {
  const { defineProperty, entries } = Object;
  const { isArray } = Array;

  const text = (value, what) => {
    if (typeof value !== "string") {
      throw new TypeError(`${what} is a string`);
    }
    return value.toWellFormed();
  };
  const object = (value, what) => {
    if (typeof value !== "object" || value === null || isArray(value)) {
      throw new TypeError(`${what} is an object`);
    }
    return value;
  };
  const optional = (check, value, what) => (value === undefined ? undefined : check(value, what));
  const flag = (value, what) => {
    if (typeof value !== "boolean") {
      throw new TypeError(`${what} is true or false`);
    }
    return value;
  };
  const grant = (fault, source) => {
    if (fault !== undefined) {
      throw new TypeError(`${source}: ${fault}`);
    }
  };
  const formatOf = (wish, what) => {
    const info = optional(object, wish.pemCertFormatInfo, `${what}.pemCertFormatInfo`) ?? {};
    return [
      optional(text, info.certHeader, "certHeader"),
      optional(text, info.certFooter, "certFooter"),
      optional(text, info.certEndMarker, "certEndMarker"),
      optional(flag, info.keepNewlinesInCertData, "keepNewlinesInCertData"),
    ];
  };

  const mtls = {
    renameClientCertHeaders(names) {
      for (const [source, name] of entries(object(names, "the argument of renameClientCertHeaders"))) {
        grant(natives.rename(source.toWellFormed(), text(name, `the new name of ${source}`)), source);
      }
    },
    renamePemHeaders(wishes) {
      for (const [source, wish] of entries(object(wishes, "the argument of renamePemHeaders"))) {
        const name = text(object(wish, source).newHeaderName, "newHeaderName");
        grant(natives.renamePem(source.toWellFormed(), name, ...formatOf(wish, source)), source);
      }
    },
    combinePemHeaders(wish) {
      const name = text(object(wish, "the argument of combinePemHeaders").newHeaderName, "newHeaderName");
      grant(natives.combine(name, ...formatOf(wish, "combinePemHeaders")), name);
    },
  };

  cf.mtls = mtls;
  cf.logCustomData = (value) => {
    natives.logCustomData(text(value, "the argument of logCustomData").slice(0, 800).toWellFormed());
  };
  defineProperty(cf, "edgeLocation", {
    enumerable: true,
    get() {
      const at = natives.edgeLocation();
      return at === undefined ? undefined : { name: at[0], serverIp: at[1], region: at[2] };
    },
  });

  const event = (
    distributionDomainName, distributionId, endpoint, eventType, requestId, ip,
    method, uri, raw, querystring, headers, cookies, response,
  ) => {
    const context = { distributionDomainName, distributionId, endpoint, eventType, requestId };
    const request = { method, uri, querystring, headers, cookies, rawQueryString: () => raw };
    const made = { version: "1.0", context, viewer: { ip }, request };
    if (response !== undefined) {
      made.response = response;
    }
    return made;
  };

  // Names that most requests have: as long as these live, no call has to make them.
  const names = {
    __proto__: null, "cloudfront-viewer-cert-serial-number": 1, "cloudfront-viewer-cert-issuer": 1, "cloudfront-viewer-cert-subject": 1,
    "cloudfront-viewer-cert-present": 1, "cloudfront-viewer-cert-sha256": 1, host: 1, "user-agent": 1, accept: 1, "accept-language": 1,
    "accept-encoding": 1, "cache-control": 1, referer: 1, origin: 1, range: 1, authorization: 1, "content-type": 1, "content-length": 1,
    "content-encoding": 1, "if-none-match": 1, "if-modified-since": 1, "x-forwarded-for": 1, date: 1, server: 1, etag: 1,
    "last-modified": 1, via: 1, vary: 1, location: 1, multiValue: 1, attributes: 1,
  };

  return { makers: [event], shared: [mtls, names] };
}
