//! Native functions that the prelude of viewer functions calls: wishes for the certificate headers, and the
//! edge's location.

use std::rc::Rc;

use rquickjs::{Ctx, Function, Object, Result};

use super::call::Call;
use super::certificate_renames::{PemFormat, RenameFault};

pub(super) fn add<'js>(ctx: &Ctx<'js>, natives: &Object<'js>, call: &Rc<Call>) -> Result<()> {
    let this = Rc::clone(call);
    let edge_location = move || {
        let at = this.edge_location()?;
        Some(vec![at.name.clone(), at.server_ip.clone(), at.region.clone()])
    };
    natives.set("edgeLocation", Function::new(ctx.clone(), edge_location)?)?;
    let this = Rc::clone(call);
    let rename =
        move |source: String, name: String| told(this.rename(|wishes| wishes.rename(&source, &name)));
    natives.set("rename", Function::new(ctx.clone(), rename)?)?;
    let this = Rc::clone(call);
    let rename_pem = move |source: String, name: String, header, footer, end_marker, keep_newlines| {
        let format = PemFormat {
            header,
            footer,
            end_marker,
            keep_newlines,
        };
        told(this.rename(|wishes| wishes.rename_pem(&source, &name, format)))
    };
    natives.set("renamePem", Function::new(ctx.clone(), rename_pem)?)?;
    let this = Rc::clone(call);
    let combine = move |name: String, header, footer, end_marker, keep_newlines| {
        let format = PemFormat {
            header,
            footer,
            end_marker,
            keep_newlines,
        };
        told(this.rename(|wishes| wishes.combine(&name, format)))
    };
    natives.set("combine", Function::new(ctx.clone(), combine)?)
}

/// The message that the prelude throws, if any.
fn told(result: std::result::Result<(), RenameFault>) -> Option<&'static str> {
    result.err().map(RenameFault::as_str)
}
