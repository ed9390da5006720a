// Viewer response: headers that browsers want from every page.
const HEADERS = {
    'strict-transport-security': 'max-age=63072000; includeSubDomains',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'same-origin',
};

function handler(event) {
    const response = event.response;
    for (const name of Object.keys(HEADERS)) {
        response.headers[name] = { value: HEADERS[name] };
    }
    return response;
}
