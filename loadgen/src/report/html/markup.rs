//! Markup that cannot be broken from outside: text and attribute values are escaped here and nowhere else,
//! and what is opened is closed. The output is well-formed XML, so that a strict parser can check it.

use std::fmt::Write;

use crate::report::text::is_hidden;

/// A growing document.
#[derive(Debug, Default)]
pub struct Markup {
    out: String,
}

/// Name and value of an attribute; the value is escaped when it is written.
pub type Attribute<'a> = (&'static str, &'a str);

impl Markup {
    /// A document that begins with `prologue`, which is written as it is.
    pub fn new(prologue: &'static str) -> Self {
        Markup {
            out: prologue.to_owned(),
        }
    }

    /// The whole text.
    pub fn finish(self) -> String {
        self.out
    }

    /// An element with `inside`.
    pub fn element(
        &mut self,
        tag: &'static str,
        attributes: &[Attribute<'_>],
        inside: impl FnOnce(&mut Markup),
    ) {
        self.open(tag, attributes);
        self.out.push('>');
        inside(self);
        let _ = write!(self.out, "</{tag}>"); // writing to a String cannot fail
    }

    /// An element with nothing but text.
    pub fn leaf(&mut self, tag: &'static str, attributes: &[Attribute<'_>], text: &str) {
        self.element(tag, attributes, |inside| inside.text(text));
    }

    /// An element without anything inside.
    pub fn void(&mut self, tag: &'static str, attributes: &[Attribute<'_>]) {
        self.open(tag, attributes);
        self.out.push_str("/>");
    }

    /// Text within the current element, escaped.
    pub fn text(&mut self, text: &str) {
        escape(&mut self.out, text);
    }

    /// Our own style sheet, which contains nothing that needs escaping.
    pub fn style(&mut self, css: &'static str) {
        self.element("style", &[], |inside| inside.out.push_str(css));
    }

    fn open(&mut self, tag: &'static str, attributes: &[Attribute<'_>]) {
        let _ = write!(self.out, "<{tag}");
        for (name, value) in attributes {
            let _ = write!(self.out, " {name}=\"");
            escape(&mut self.out, value);
            self.out.push('"');
        }
    }
}

/// Escapes characters with a meaning in markup as entities; those that are invisible or turn text around are
/// spelt out.
fn escape(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' => out.push('\n'),
            hidden if is_hidden(hidden) => out.extend(hidden.escape_unicode()),
            plain => out.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_attributes_cannot_become_markup() {
        let mut markup = Markup::new("");
        markup.leaf(
            "p",
            &[("title", "\"'><script>")],
            "</p><script>alert(1)</script>&amp;",
        );
        assert_eq!(
            markup.finish(),
            "<p title=\"&quot;&#39;&gt;&lt;script&gt;\">&lt;/p&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;</p>"
        );
    }

    #[test]
    fn what_is_invisible_or_turns_text_around_is_spelt_out() {
        let mut markup = Markup::new("");
        markup.text("a\u{1b}[31mb\u{202e}c\0\u{ffff}\r");
        assert_eq!(markup.finish(), "a\\u{1b}[31mb\\u{202e}c\\u{0}\\u{ffff}\\u{d}");
    }
}
