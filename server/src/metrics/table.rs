//! A table of cells and of their families on the page: a row is counted, documented and shown.

/// Declares a struct of cells, and for each group of rows a function that shows its families in their order.
///
/// A row is `field: Type, "name" ["label"], "help";`. The help is the field's documentation too. Cells that
/// are shown in another way stand under `unshown`.
macro_rules! counters {
    (
        $(#[$meta:meta])*
        pub struct $Counters:ident {
            unshown { $($(#[$unshown_meta:meta])* $unshown_vis:vis $unshown:ident: $unshown_type:ty,)* }
            $($group:ident {
                $($field:ident: $Cell:ty, $name:literal $([$label:literal])?, $help:literal;)+
            })+
        }
    ) => {
        $(#[$meta])*
        pub struct $Counters {
            $($(#[$unshown_meta])* $unshown_vis $unshown: $unshown_type,)*
            $($(#[doc = $help] pub $field: $Cell,)+)+
        }

        impl $Counters {
            $(
                pub(super) fn $group(page: &mut Page, all: &[Arc<Self>]) {
                    $(page.family($name, concat!($($label)?), $help, all.iter().map(|one| &one.$field));)+
                }
            )+
        }
    };
}

pub(super) use counters;
