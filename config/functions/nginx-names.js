// Viewer request: the client's certificate under the names that nginx gives to it, for an origin that stood
// behind nginx (proxy_set_header X-SSL-Client-S-DN $ssl_client_s_dn, and so on). cf.mtls makes these headers
// after the function, from the certificate that was verified, in place of whatever reads like them; without a
// certificate they are not there.
import cf from 'cloudfront';

function handler(event) {
    const request = event.request;
    cf.mtls.renameClientCertHeaders({
        'CloudFront-Viewer-Cert-Subject': 'X-SSL-Client-S-DN',
        'CloudFront-Viewer-Cert-Issuer': 'X-SSL-Client-I-DN',
        'CloudFront-Viewer-Cert-Serial-Number': 'X-SSL-Client-Serial',
    });
    cf.mtls.renamePemHeaders({
        'CloudFront-Viewer-Cert-Pem': { newHeaderName: 'X-SSL-Client-Cert' },
    });
    // Nothing of the client's is in its place: a client's own X-SSL-Client-… was removed before.
    const present = request.headers['cloudfront-viewer-cert-present']?.value === '1';
    request.headers['x-ssl-client-verify'] = { value: present ? 'SUCCESS' : 'NONE' };
    return request;
}
