//! `docs/demo.md` shows what `berth demo` prints.

use super::{check_generated, read};
use crate::cli::stdout;

const PAGE: &str = "docs/demo.md";
const BEGIN: &str = "```console\n$ cargo run -- demo\n";
const END: &str = "```\n";

#[test]
fn the_demo_page_shows_the_output_of_the_demo() {
    let page = read(PAGE);
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let output = stdout(&["demo"]);
    check_generated(PAGE, &format!("{before}{BEGIN}{output}{END}{after}"));
}
