//! The macro behind the table of limits: from rows to the raw keys, the fields, their defaults and their
//! checks.
//!
//! A row is `field: key, unit, default, range;` below the reason for it, which becomes the field's
//! documentation. A default outside its range, or one that does not fit its type, does not compile.

/// Defines `Limits` and `RawLimits` from the rows of the table.
macro_rules! limits {
    ($(
        $(#[doc = $reason:literal])+
        $field:ident: $key:ident, $unit:ident, $default:literal, $least:literal..=$most:literal;
    )+) => {
        /// The bounds of one running server, from `[limits]` of the configuration.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct Limits {
            $($(#[doc = $reason])+ pub $field: unit!($unit type),)+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($field: unit!($unit value $default),)+ }
            }
        }

        impl Limits {
            /// Takes each number that is given, and the default of each that is not.
            fn read(raw: &RawLimits) -> Result<Self, Problem> {
                let default = Self::default();
                let at = |key: &'static str| KeyPath::root().child("limits").child(key);
                Ok(Self {
                    $($field: unit!($unit read)(
                        &at(stringify!($key)),
                        raw.$key,
                        default.$field,
                        &accepted::$key,
                    )?,)+
                })
            }
        }

        /// Ranges of the numbers in `[limits]`, by their keys, in the units of the keys.
        #[allow(non_upper_case_globals)]
        pub mod accepted {
            use super::RangeInclusive;

            $($(#[doc = $reason])+ pub const $key: RangeInclusive<i64> = $least..=$most;)+
        }

        /// `[limits]` as written.
        #[derive(Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct RawLimits {
            $(pub(crate) $key: Option<i64>,)+
        }

        $(const _: () = {
            let (least, default, most): (i64, i64, i64) = ($least, $default, $most);
            assert!(
                least <= default && default <= most,
                concat!("the default of ", stringify!($key), " is out of its range")
            );
        };)+

        /// Every row: its key, unit, default and range.
        #[cfg(test)]
        const ROWS: &[(&str, &str, i64, RangeInclusive<i64>)] =
            &[$((stringify!($key), stringify!($unit), $default, $least..=$most)),+];
    };
}

/// The units of the table: each has its type, how a number becomes a value of it, and how one is read.
macro_rules! unit {
    (count type) => {
        usize
    };
    (count value $number:literal) => {
        $number
    };
    (count read) => {
        number
    };
    (count_32 type) => {
        u32
    };
    (count_32 value $number:literal) => {
        $number
    };
    (count_32 read) => {
        number
    };
    (bytes type) => {
        usize
    };
    (bytes value $number:literal) => {
        $number
    };
    (bytes read) => {
        number
    };
    (bytes_64 type) => {
        u64
    };
    (bytes_64 value $number:literal) => {
        $number
    };
    (bytes_64 read) => {
        number
    };
    (bytes_per_second type) => {
        u64
    };
    (bytes_per_second value $number:literal) => {
        $number
    };
    (bytes_per_second read) => {
        number
    };
    (milliseconds type) => {
        Duration
    };
    (milliseconds value $number:literal) => {
        Duration::from_millis($number)
    };
    (milliseconds read) => {
        milliseconds
    };
    (seconds type) => {
        Duration
    };
    (seconds value $number:literal) => {
        Duration::from_secs($number)
    };
    (seconds read) => {
        seconds
    };
}

pub(super) use {limits, unit};
