// Denies clients whose serial number is a key of the key-value store. Keys are the serial's hex digits in
// lower case without colons, a leading 00 included: `openssl x509 -serial` prints them in upper case and
// without it.
import cf from 'cloudfront';

const revoked = cf.kvs();

async function connectionHandler(connection) {
    if (!connection.clientCertificate) {
        return connection.deny();
    }
    const serial = connection.clientCertificate.certificates.leaf.serialNumber;
    if (await revoked.exists(serial.replaceAll(':', ''))) {
        connection.logCustomData(`REVOKED:${serial}`);
        return connection.deny();
    }
    return connection.allow();
}
