//! Publication of a function: one function's live version swapped within the snapshot in force, and no
//! connection touched.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::asker::Asker;
use super::running::{Cores, Running};
use crate::snapshot::{NewVersion, Publication, Unpublished};

/// Result of a publication, for whoever has asked for it.
pub type Published = Result<Publication, Unpublished>;

/// Order to publish a function.
pub(super) struct PublishOrder {
    pub(super) name: String,
    pub(super) asker: Asker<Published>,
}

/// New version that was read and compiled; `None`: the code is that of the live one.
pub(super) type Compiled = Result<Option<NewVersion>, Unpublished>;

/// Reads the function's file. No snapshot is built meanwhile, since both are changes of one subject: it would
/// have read the code before and would be put in force after.
pub(super) fn compile(running: &Running, name: &str) -> Compiled {
    running.progress.show_this_thread();
    let snapshot = running.snapshot.load_full();
    let compiled = catch_unwind(AssertUnwindSafe(|| snapshot.functions.read_again(name)));
    let panicked = || Unpublished::Unusable("publishing panicked; please report this".to_owned());
    compiled.unwrap_or_else(|_| Err(panicked()))
}

pub(super) fn commit(order: PublishOrder, compiled: Compiled, cores: &impl Cores) {
    let published = compiled.map(|version| match version {
        Some(version) => {
            version.publish();
            cores.function_published();
            Publication::Published
        }
        None => Publication::Unchanged,
    });
    log(&order.name, &published);
    order.asker.tell(published);
}

fn log(function: &str, published: &Published) {
    match published {
        Ok(Publication::Published) => tracing::info!(function, "function published"),
        Ok(Publication::Unchanged) => {
            tracing::info!(
                function,
                "function not published: its code is what is live already"
            );
        }
        Err(error) => {
            tracing::error!(function, %error, "function not published; what was live stays");
        }
    }
}
