// Admits devices: organizational unit "Devices", and a serial number from the range that the factory was
// given.
const UNIT = 'OU=Devices';
const SERIAL_PREFIX = '4a:3f:';

function connectionHandler(connection) {
    if (!connection.clientCertificate) {
        return connection.deny();
    }
    const leaf = connection.clientCertificate.certificates.leaf;
    const isDevice = hasAttribute(leaf.subject, UNIT);
    const isOurs = leaf.serialNumber.startsWith(SERIAL_PREFIX);
    connection.logCustomData(`device=${isDevice} ours=${isOurs}`);
    return isDevice && isOurs ? connection.allow() : connection.deny();
}

// A comma within a value has a backslash before it: CN="x, O=ExampleCorp" is one attribute.
function hasAttribute(subject, attribute) {
    return subject.replaceAll('\\,', '\u0000').split(', ').includes(attribute);
}
