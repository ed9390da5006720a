//! Native functions that the prelude's JavaScript calls: the few things that JavaScript cannot do itself.
//!
//! Customers never hold one of these functions; the prelude checks types and hands over. Text that arrives
//! here is well-formed. Each function works on what the call in [`Call`] may see, and on nothing else. What
//! takes time in proportion to what it is given looks at the clock first, and once for each piece where it is
//! slow.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use aws_lc_rs::rand;
use rquickjs::{ArrayBuffer, Ctx, Error, Exception, Function, Object, Result, TypedArray, Value};

use super::budget::Budget;
use super::call::{Call, milliseconds};
use super::codec::{self, Algorithm, Encoding};
use super::viewer_natives;

/// The object `natives` of the prelude.
pub(super) fn object<'js>(
    ctx: &Ctx<'js>,
    call: &Rc<Call>,
    budget: &Rc<Budget>,
    store_name: Option<&str>,
) -> Result<Object<'js>> {
    let natives = Object::new(ctx.clone())?;
    add_clock_and_chance(ctx, &natives, call)?;
    add_answers(ctx, &natives, call)?;
    add_store(ctx, &natives, call)?;
    add_codecs(ctx, &natives, budget)?;
    viewer_natives::add(ctx, &natives, call)?;
    natives.set("storeName", store_name)?;
    Ok(natives)
}

fn add_clock_and_chance<'js>(ctx: &Ctx<'js>, natives: &Object<'js>, call: &Rc<Call>) -> Result<()> {
    let this = Rc::clone(call);
    natives.set("now", Function::new(ctx.clone(), move || this.now_ms())?)?;
    let chance = Chance {
        drawn: RefCell::new([0; DRAWN_BYTES]),
        used: Cell::new(DRAWN_BYTES),
    };
    natives.set("random", Function::new(ctx.clone(), move || chance.next())?)
}

fn add_answers<'js>(ctx: &Ctx<'js>, natives: &Object<'js>, call: &Rc<Call>) -> Result<()> {
    let this = Rc::clone(call);
    natives.set("allow", Function::new(ctx.clone(), move || this.allow())?)?;
    let this = Rc::clone(call);
    natives.set("deny", Function::new(ctx.clone(), move || this.deny())?)?;
    let this = Rc::clone(call);
    let log_custom_data = move |text: String| this.log_custom_data(&text);
    natives.set("logCustomData", Function::new(ctx.clone(), log_custom_data)?)?;
    let this = Rc::clone(call);
    natives.set(
        "log",
        Function::new(ctx.clone(), move |line: String| this.log(&line))?,
    )
}

fn add_store<'js>(ctx: &Ctx<'js>, natives: &Object<'js>, call: &Rc<Call>) -> Result<()> {
    let this = Rc::clone(call);
    natives.set(
        "get",
        Function::new(ctx.clone(), move |ctx, key| get(ctx, &this, key))?,
    )?;
    let this = Rc::clone(call);
    let exists = move |key: rquickjs::String<'js>| exists(&this, key);
    natives.set("exists", Function::new(ctx.clone(), exists)?)?;
    let this = Rc::clone(call);
    let count = move || this.with_store(|store| store.len() as f64);
    natives.set("count", Function::new(ctx.clone(), count)?)?;
    let this = Rc::clone(call);
    let created = move || this.with_store(|store| milliseconds(store.created()));
    natives.set("created", Function::new(ctx.clone(), created)?)?;
    let this = Rc::clone(call);
    let last_updated = move || this.with_store(|store| milliseconds(store.last_updated()));
    natives.set("lastUpdated", Function::new(ctx.clone(), last_updated)?)
}

/// A key with a lone surrogate is no UTF-8, so no store has it.
fn get<'js>(ctx: Ctx<'js>, call: &Call, key: rquickjs::String<'js>) -> Result<Option<rquickjs::String<'js>>> {
    let Ok(key) = key.to_string() else {
        return Ok(None);
    };
    let found = call.with_store(|store| {
        let value = store.get(&key)?;
        Some(rquickjs::String::from_str(ctx, value))
    });
    found.flatten().transpose()
}

fn exists(call: &Call, key: rquickjs::String<'_>) -> bool {
    let Ok(key) = key.to_string() else {
        return false;
    };
    call.with_store(|store| store.get(&key).is_some()) == Some(true)
}

fn add_codecs<'js>(ctx: &Ctx<'js>, natives: &Object<'js>, budget: &Rc<Budget>) -> Result<()> {
    let this = Rc::clone(budget);
    let encode = move |ctx, bytes, encoding| encode(&ctx, &this, &bytes, encoding);
    natives.set("encode", Function::new(ctx.clone(), encode)?)?;
    let this = Rc::clone(budget);
    let decode = move |ctx, text, encoding| decode(&ctx, &this, text, encoding);
    natives.set("decode", Function::new(ctx.clone(), decode)?)?;
    let this = Rc::clone(budget);
    let utf8 = move |ctx, bytes, is_fatal| utf8(&ctx, &this, &bytes, is_fatal);
    natives.set("utf8", Function::new(ctx.clone(), utf8)?)?;
    let this = Rc::clone(budget);
    let btoa = move |ctx, text| btoa(&ctx, &this, text);
    natives.set("btoa", Function::new(ctx.clone(), btoa)?)?;
    let this = Rc::clone(budget);
    let atob = move |ctx, text| atob(&ctx, &this, text);
    natives.set("atob", Function::new(ctx.clone(), atob)?)?;
    let this = Rc::clone(budget);
    let digest = move |ctx, algorithm, key, data| digest(&ctx, &this, algorithm, key, &data);
    natives.set("digest", Function::new(ctx.clone(), digest)?)
}

fn encode<'js>(
    ctx: &Ctx<'js>,
    budget: &Budget,
    bytes: &TypedArray<'js, u8>,
    encoding: String,
) -> Result<String> {
    may_go_on(ctx, budget, bytes.len())?;
    let encoding = encoding_named(ctx, &encoding)?;
    Ok(codec::encode(&octets(ctx, bytes)?, encoding))
}

fn decode<'js>(ctx: &Ctx<'js>, budget: &Budget, text: String, encoding: String) -> Result<Value<'js>> {
    may_go_on(ctx, budget, text.len())?;
    let encoding = encoding_named(ctx, &encoding)?;
    uint8_array(ctx, &codec::decode(&text, encoding))
}

fn utf8<'js>(ctx: &Ctx<'js>, budget: &Budget, bytes: &TypedArray<'js, u8>, is_fatal: bool) -> Result<String> {
    may_go_on(ctx, budget, bytes.len())?;
    match String::from_utf8(octets(ctx, bytes)?) {
        Ok(text) => Ok(text),
        Err(_) if is_fatal => Err(Exception::throw_type(ctx, "The encoded data was not valid utf-8")),
        Err(error) => Ok(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

fn btoa(ctx: &Ctx<'_>, budget: &Budget, text: String) -> Result<String> {
    may_go_on(ctx, budget, text.len())?;
    let octets: Option<Vec<u8>> = text
        .chars()
        .map(|character| u8::try_from(character).ok())
        .collect();
    match octets {
        Some(octets) => Ok(codec::encode(&octets, Encoding::Base64)),
        None => Err(Exception::throw_type(ctx, "btoa takes characters up to U+00FF")),
    }
}

fn atob(ctx: &Ctx<'_>, budget: &Budget, text: String) -> Result<String> {
    may_go_on(ctx, budget, text.len())?;
    match codec::forgiving_base64(&text) {
        Some(octets) => Ok(codec::encode(&octets, Encoding::Latin1)),
        None => Err(Exception::throw_type(ctx, "atob takes base64")),
    }
}

fn digest<'js>(
    ctx: &Ctx<'js>,
    budget: &Budget,
    algorithm: String,
    key: Option<TypedArray<'js, u8>>,
    data: &TypedArray<'js, u8>,
) -> Result<Value<'js>> {
    let Some(algorithm) = Algorithm::named(&algorithm) else {
        return Err(Exception::throw_type(ctx, "unknown algorithm"));
    };
    may_go_on(ctx, budget, data.len())?;
    let data = octets(ctx, data)?;
    let mut go_on = || !budget.is_spent();
    let result = match &key {
        Some(key) => algorithm.hmac(&octets(ctx, key)?, &data, &mut go_on),
        None => algorithm.hash(&[&data], &mut go_on),
    };
    uint8_array(ctx, &result.ok_or_else(|| interrupted(ctx))?)
}

/// Checks the call's budget before work on so many octets. Fewer than `OCTETS_WITHOUT_LOOK` need no look at
/// the clock, because the interpreter looks again soon enough.
///
/// # Errors
/// The time is over.
fn may_go_on(ctx: &Ctx<'_>, budget: &Budget, octets: usize) -> Result<()> {
    match octets >= OCTETS_WITHOUT_LOOK && budget.is_spent() {
        true => Err(interrupted(ctx)),
        false => Ok(()),
    }
}

/// Throws the error of a call whose time is over. Code that catches it gets no further than the interpreter's
/// next look, because the budget stays spent.
fn interrupted(ctx: &Ctx<'_>) -> Error {
    Exception::throw_internal(ctx, "interrupted")
}

fn encoding_named(ctx: &Ctx<'_>, name: &str) -> Result<Encoding> {
    Encoding::named(name).ok_or_else(|| Exception::throw_type(ctx, "unknown encoding"))
}

/// Copied out, so that no reference to the engine's memory is left when it runs on.
fn octets(ctx: &Ctx<'_>, bytes: &TypedArray<'_, u8>) -> Result<Vec<u8>> {
    // SAFETY: the slice is gone at the end of this statement, and no JavaScript runs within it.
    #[allow(unsafe_code)]
    let copied = unsafe { bytes.as_bytes() }.map(<[u8]>::to_vec);
    copied.ok_or_else(|| Exception::throw_type(ctx, "the buffer is detached"))
}

/// Copied, so that the engine's memory limit counts it.
fn uint8_array<'js>(ctx: &Ctx<'js>, octets: &[u8]) -> Result<Value<'js>> {
    let buffer = ArrayBuffer::new_copy(ctx.clone(), octets)?;
    TypedArray::<u8>::from_arraybuffer(buffer).map(TypedArray::into_value)
}

/// `Math.random`: 53 bits of the system's generator each, drawn in advance.
struct Chance {
    drawn: RefCell<[u8; DRAWN_BYTES]>,
    used: Cell<usize>,
}

impl Chance {
    fn next(&self) -> f64 {
        let mut drawn = self.drawn.borrow_mut();
        let mut at = self.used.get();
        if at >= DRAWN_BYTES {
            // A system without random numbers has no TLS either.
            let _ignored = rand::fill(&mut *drawn);
            at = 0;
        }
        self.used.set(at + 8);
        let number = drawn.get(at..at + 8).and_then(|octets| octets.first_chunk());
        let bits = number.map_or(0, |octets| u64::from_ne_bytes(*octets)) >> 11;
        bits as f64 / (1_u64 << 53) as f64
    }
}

const DRAWN_BYTES: usize = 256;
const OCTETS_WITHOUT_LOOK: usize = 4 * 1024;
