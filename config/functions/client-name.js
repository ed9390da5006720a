// Viewer request: tells the origin who the client is in a header of the origin's choosing, and answers by
// itself where there is no certificate. Works in the modes that verify certificates, where the headers below
// cannot come from the client itself.
function handler(event) {
    const request = event.request;
    if (request.headers['cloudfront-viewer-cert-present']?.value !== '1') {
        return {
            statusCode: 403,
            statusDescription: 'Forbidden',
            headers: { 'content-type': { value: 'text/plain' } },
            body: 'this path needs a client certificate\n',
        };
    }
    request.headers['x-client-name'] = { value: request.headers['cloudfront-viewer-cert-subject'].value };
    return request;
}
