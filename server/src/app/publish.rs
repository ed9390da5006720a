//! `bothways function publish NAME` on a running server: one function's live version swapped, and no connection touched.
//!
//! Owns the order and its answer. When it is its turn is for the control thread to say; the file is read and the code compiled on a
//! thread of its own, as a reload is.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam_channel::Sender;

use crate::snapshot::{Publication, Snapshot, Unpublished};

/// What an order has come to.
pub type Published = Result<Publication, Unpublished>;

/// A function that is to be published.
pub struct PublishOrder {
    pub name: String,
    /// Gets one answer. Dropped without one: the server has ended.
    pub answer: Sender<Published>,
}

/// Publishes a function of the snapshot in force. Reads a file.
pub(super) fn publish(snapshot: &Snapshot, name: &str) -> Published {
    let published = catch_unwind(AssertUnwindSafe(|| snapshot.functions.publish(name)));
    let panicked = || Unpublished::Unusable("publishing panicked; please report this".to_owned());
    published.unwrap_or_else(|_| Err(panicked()))
}

/// Tells the operator, and whoever gave the order.
pub(super) fn tell(order: &PublishOrder, published: Published) {
    let function = &*order.name;
    match &published {
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
    let _whoever_asked_may_have_gone = order.answer.send(published);
}
