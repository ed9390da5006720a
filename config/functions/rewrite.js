// Viewer request: one spelling for each page. Doubled slashes become one, /index.html becomes its folder, and
// campaign parameters are dropped, so that the origin (and what caches before it) sees one address where
// clients write many.
const DROPPED = ['utm_source', 'utm_medium', 'utm_campaign'];

function handler(event) {
    const request = event.request;
    request.uri = request.uri.replace(/\/{2,}/g, '/').replace(/\/index\.html$/, '/');
    for (const name of DROPPED) {
        delete request.querystring[name];
    }
    return request;
}
