// Admits on working days from 6 to 20 o'clock UTC; clients whose unit is "Operations" at any time.
const DAYS = [1, 2, 3, 4, 5];
const FROM_HOUR = 6;
const TO_HOUR = 20;

function connectionHandler(connection) {
    const certificate = connection.clientCertificate;
    if (certificate && hasAttribute(certificate.certificates.leaf.subject, 'OU=Operations')) {
        return connection.allow();
    }
    const now = new Date();
    const hour = now.getUTCHours();
    if (DAYS.includes(now.getUTCDay()) && hour >= FROM_HOUR && hour < TO_HOUR) {
        return connection.allow();
    }
    connection.logCustomData(`outside of the window: ${now.toISOString()}`);
    return connection.deny();
}

// A comma within a value has a backslash before it: CN="x, O=ExampleCorp" is one attribute.
function hasAttribute(subject, attribute) {
    return subject.replaceAll('\\,', '\u0000').split(', ').includes(attribute);
}
