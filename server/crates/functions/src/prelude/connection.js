// The object that `connectionHandler` gets. Makers of plain objects, called from connection.rs for every
// connection.
(natives) => {
  const allow = () => {
    natives.allow();
  };
  const deny = () => {
    natives.deny();
  };
  const logCustomData = (text) => {
    if (typeof text !== "string") {
      throw new TypeError("logCustomData takes a string");
    }
    natives.logCustomData(text.slice(0, 800).toWellFormed());
  };

  const certificate = (
    serialNumber, issuer, subject, notBefore, notAfter, sha256Fingerprint, ocspEndpoint, san, spki, sanHex,
  ) => {
    const made = { serialNumber, issuer, subject, validity: { notBefore, notAfter }, sha256Fingerprint, spki };
    if (ocspEndpoint !== undefined) {
      made.ocspEndpoint = ocspEndpoint;
    }
    if (san !== undefined) {
      made.san = san;
    }
    if (sanHex !== undefined) {
      made.sanHex = sanHex;
    }
    return made;
  };

  // Tutorials of the service read the leaf from `clientCertInfo`, an older shape.
  const base = {
    get clientCertInfo() {
      return this.clientCertificate?.certificates?.leaf;
    },
  };
  Object.defineProperty(base, "clientCertInfo", { enumerable: false });

  const connection = (
    connectionId, clientIp, endpoint, distributionId, leaf, intermediates = [], protocol, cipher, sni, resumed,
  ) => {
    const tls = { protocol, cipher, sni, resumed };
    const made = { __proto__: base, connectionId, clientIp, endpoint, distributionId, tls, allow, deny, logCustomData };
    if (leaf !== undefined) {
      made.clientCertificate = { certificates: { leaf, intermediates } };
    }
    return made;
  };

  // For trial calls: an event as somebody wrote it down.
  const given = (event) => Object.assign({ __proto__: base }, event, { allow, deny, logCustomData });

  return { makers: [connection, certificate, given], shared: [allow, deny, logCustomData, base] };
}
