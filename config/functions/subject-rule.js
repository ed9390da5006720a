// Admits clients of one organization: O=ExampleCorp among the attributes of the subject, as a whole attribute
// and not as part of another.
const ORGANIZATION = 'O=ExampleCorp';

function connectionHandler(connection) {
    const certificate = connection.clientCertificate;
    const subject = certificate ? certificate.certificates.leaf.subject : '';
    if (hasAttribute(subject, ORGANIZATION)) {
        connection.allow();
    } else {
        connection.logCustomData(`not of ${ORGANIZATION}: ${subject}`);
        connection.deny();
    }
}

// A comma within a value has a backslash before it: CN="x, O=ExampleCorp" is one attribute.
function hasAttribute(subject, attribute) {
    return subject.replaceAll('\\,', '\u0000').split(', ').includes(attribute);
}
