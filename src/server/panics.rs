//! Panics as values, so that one costs no more than the request or connection it happened in.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

pub(super) type Panic = Box<dyn Any + Send>;

/// The output of `future`, or the panic that ended it.
pub(super) async fn caught<F: Future>(future: F) -> Result<F::Output, Panic> {
    // Unwind safe, as the future is not polled again.
    AssertUnwindSafe(future).catch_unwind().await
}

/// What was panicked with, if it is text.
pub(super) fn message(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "no message"
    }
}
