//! What kube-apiserver calls.

mod mutate;

pub(super) use mutate::handle as handle_mutate;
pub use mutate::{MutateAnswer, mutate};
