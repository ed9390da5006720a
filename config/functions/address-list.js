// For mode "optional": a client with a certificate has been verified already; one without is admitted from
// these networks only.
const NETWORKS = ['10.', '192.168.', 'fd00:'];

function connectionHandler(connection) {
    if (connection.clientCertificate) {
        return connection.allow();
    }
    if (NETWORKS.some((network) => connection.clientIp.startsWith(network))) {
        connection.logCustomData('no certificate, known network');
        return connection.allow();
    }
    return connection.deny();
}
