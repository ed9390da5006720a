// Serial numbers are unique within a CA only: where a trust store has several, the key of a revocation is the
// first eight hex digits of the issuer name's SHA-256, an underscore and the serial number without colons.
import cf from 'cloudfront';
const crypto = require('crypto');

const revoked = cf.kvs();

async function connectionHandler(connection) {
    if (!connection.clientCertificate) {
        return connection.deny();
    }
    const leaf = connection.clientCertificate.certificates.leaf;
    const issuer = crypto.createHash('sha256').update(leaf.issuer).digest('hex').slice(0, 8);
    const key = `${issuer}_${leaf.serialNumber.replaceAll(':', '')}`;
    if (await revoked.exists(key)) {
        connection.logCustomData(`REVOKED:${key}`);
        return connection.deny();
    }
    return connection.allow();
}
