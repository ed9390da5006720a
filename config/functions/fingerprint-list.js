// Admits the certificates whose fingerprint is a key of the key-value store; the value is the owner's name
// and goes to the log. Fingerprints as in the record of a refused client:
// openssl x509 -outform DER | openssl dgst -sha256 -binary | basenc --base64url
import cf from 'cloudfront';

const known = cf.kvs();

async function connectionHandler(connection) {
    if (!connection.clientCertificate) {
        return connection.deny();
    }
    const fingerprint = connection.clientCertificate.certificates.leaf.sha256Fingerprint;
    try {
        connection.logCustomData(`owner=${await known.get(fingerprint)}`);
        return connection.allow();
    } catch (missing) {
        connection.logCustomData(`unknown fingerprint ${fingerprint}`);
        return connection.deny();
    }
}
