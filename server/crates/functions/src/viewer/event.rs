//! The object that `handler` gets, and the memory of what it was made of: what comes back unchanged need not
//! be read again.

use std::rc::Rc;

use rquickjs::atom::PredefinedAtom;
use rquickjs::function::Args;
use rquickjs::object::Property;
use rquickjs::{Array, Atom, Ctx, Object, Value};

use super::fields::{Field, Item};
use super::request::ShownRequest;
use super::response::ShownResponse;
use crate::call::EdgeLocation;
use crate::engine::Makers;
use crate::header_rules::Moment;

/// Facts that a viewer function is told beside the request and the response.
#[derive(Clone, Copy, Debug)]
pub struct ViewerContext<'a> {
    /// The name that the distribution serves the client under.
    pub distribution_domain_name: &'a str,
    pub distribution_id: &'a str,
    /// The host that the request is for.
    pub endpoint: &'a str,
    pub request_id: &'a str,
    pub client_ip: &'a str,
    pub edge: &'a Rc<EdgeLocation>,
}

/// The parts that an event was made of.
#[derive(Default)]
pub(crate) struct Built<'js> {
    pub(super) querystring: BuiltFields<'js>,
    pub(super) headers: BuiltFields<'js>,
    pub(super) cookies: BuiltFields<'js>,
    pub(super) response_headers: BuiltFields<'js>,
}

/// The fields of one kind, by their numbers.
#[derive(Default)]
pub(super) struct BuiltFields<'js>(Vec<BuiltField<'js>>);

struct BuiltField<'js> {
    key: Atom<'js>,
    object: Object<'js>,
    /// The value, where there is nothing else. As long as it is held here, the engine neither changes the
    /// string nor gives its place to another.
    value: Option<Value<'js>>,
}

impl<'js> BuiltFields<'js> {
    /// The number of the field `key`, at `from` or not far behind it: most functions leave them in their
    /// order.
    pub(super) fn find(&self, from: usize, key: &Atom<'js>) -> Option<usize> {
        let mut near = self.0.iter().enumerate().skip(from).take(NEAR);
        near.find(|(_, field)| field.key == *key)
            .map(|(number, _)| number)
    }

    /// True if `value`, returned under the key of the field of this number, is that field and says what it
    /// said.
    pub(super) fn is_same(
        &self,
        number: usize,
        value: &Value<'js>,
        multi_value: &Atom<'js>,
    ) -> rquickjs::Result<bool> {
        let Some(BuiltField {
            object,
            value: Some(text),
            ..
        }) = self.0.get(number)
        else {
            return Ok(false);
        };
        if object.as_value() != value {
            return Ok(false);
        }
        let now: Value<'js> = object.get(PredefinedAtom::Value)?;
        if now != *text {
            return Ok(false);
        }
        Ok(object.get::<_, Value<'js>>(multi_value.clone())?.is_undefined())
    }
}

pub(super) fn build<'js>(
    makers: &Makers<'_, 'js>,
    context: &ViewerContext<'_>,
    request: &ShownRequest<'_>,
    response: Option<&ShownResponse<'_>>,
) -> rquickjs::Result<(Value<'js>, Built<'js>)> {
    let ctx = makers.ctx();
    let mut built = Built::default();
    let moment = match response {
        None => Moment::ViewerRequest,
        Some(_) => Moment::ViewerResponse,
    };
    let mut args = Args::new(ctx.clone(), 13);
    args.push_arg(context.distribution_domain_name)?;
    args.push_arg(context.distribution_id)?;
    args.push_arg(context.endpoint)?;
    args.push_arg(moment.as_str())?;
    args.push_arg(context.request_id)?;
    args.push_arg(context.client_ip)?;
    args.push_arg(request.method)?;
    args.push_arg(request.uri)?;
    args.push_arg(request.raw_query)?;
    args.push_arg(fields(ctx, &request.querystring.fields, &mut built.querystring)?)?;
    args.push_arg(fields(ctx, &request.headers, &mut built.headers)?)?;
    args.push_arg(fields(ctx, &request.cookies.fields, &mut built.cookies)?)?;
    let response = response.map(|response| response_object(ctx, response, &mut built.response_headers));
    args.push_arg(response.transpose()?)?;
    let event = args.apply(&makers.maker(EVENT)?)?;
    Ok((event, built))
}

fn response_object<'js>(
    ctx: &Ctx<'js>,
    response: &ShownResponse<'_>,
    headers: &mut BuiltFields<'js>,
) -> rquickjs::Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    object.set("statusCode", response.status.as_u16())?;
    object.set("statusDescription", &*response.description)?;
    object.set("headers", fields(ctx, &response.headers, headers)?)?;
    object.set(
        "cookies",
        fields(ctx, &response.cookies.fields, &mut BuiltFields::default())?,
    )?;
    Ok(object)
}

/// Names are the client's: they are defined, not assigned, or `__proto__` would be more than a name.
fn fields<'js>(
    ctx: &Ctx<'js>,
    fields: &[Field<'_>],
    built: &mut BuiltFields<'js>,
) -> rquickjs::Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    built.0.reserve(fields.len());
    for field in fields {
        let (shown, value) = item(ctx, &field.first)?;
        if !field.more.is_empty() {
            let values = Array::new(ctx.clone())?;
            for (index, value) in field.values().enumerate() {
                values.set(index, item(ctx, value)?.0)?;
            }
            shown.set("multiValue", values)?;
        }
        let is_plain = field.more.is_empty() && field.first.attributes.is_none();
        let key = Atom::from_str(ctx.clone(), &field.name)?;
        let property = Property::from(shown.clone())
            .writable()
            .enumerable()
            .configurable();
        object.prop(key.clone(), property)?;
        built.0.push(BuiltField {
            key,
            object: shown,
            value: is_plain.then_some(value),
        });
    }
    Ok(object)
}

fn item<'js>(ctx: &Ctx<'js>, item: &Item<'_>) -> rquickjs::Result<(Object<'js>, Value<'js>)> {
    let object = Object::new(ctx.clone())?;
    let value = rquickjs::String::from_str(ctx.clone(), &item.value)?.into_value();
    object.set(PredefinedAtom::Value, value.clone())?;
    if let Some(attributes) = &item.attributes {
        object.set("attributes", &**attributes)?;
    }
    Ok((object, value))
}

/// Most fields that may have been removed before one that is still found.
const NEAR: usize = 8;
/// Among the makers of `prelude/viewer.js`.
const EVENT: usize = 0;
