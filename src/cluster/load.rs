//! One list of a kind, for a command that answers and ends. It is read as the watch reads it: in pages,
//! with one object in memory at a time.

use std::time::Duration;

use kube::Client;
use kube::core::Request;
use tokio::time::timeout;

use crate::api::{Cause, Fault};
use crate::cluster::parts::Part;
use crate::cluster::source;

/// The longest that the list of one kind may take.
const DEADLINE: Duration = Duration::from_mins(1);

/// How often a list that expires between two pages is begun again.
const RESTARTS: usize = 2;

/// Lists the objects at a path of the API, all or those whose labels match a selector, and gives what was
/// made of them.
///
/// # Errors
/// The API server does not answer, or not with a list.
pub(crate) async fn list<T: Default>(
    client: &Client,
    path: &str,
    selector: Option<&str>,
    mut each: impl FnMut(&mut T, Part),
) -> Result<T, Fault> {
    let request = Request::new(path);
    let lists = async {
        let mut restarts = 0;
        loop {
            let mut made = T::default();
            let listed =
                source::list(client, &request, selector, |part| each(&mut made, part)).await;
            match listed {
                Ok(_) => return Ok(made),
                Err(fault) if fault.cause == Cause::Expired && restarts < RESTARTS => restarts += 1,
                Err(fault) => return Err(fault),
            }
        }
    };
    timeout(DEADLINE, lists).await.unwrap_or_else(|_| {
        let message = format!("the list did not end within {DEADLINE:?}");
        Err(Fault::new(Cause::Timeout, message))
    })
}
