//! A table for a terminal: columns as wide as their widest cell.

/// Rows under a heading, indented, with the trailing blanks cut.
pub(super) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = heading.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[&str]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        format!("   {}\n", padded.join("  ").trim_end())
    };
    let rules = widths.map(|width| "-".repeat(width));
    let mut text = line(&heading);
    text += &line(&rules.each_ref().map(String::as_str));
    for row in rows {
        text += &line(&row.each_ref().map(String::as_str));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["el9-nochassis", "no"], ["el9-1", "yes"]].map(|row| row.map(str::to_owned));
        assert_eq!(
            table(["node", "verdict"], &rows),
            "   node           verdict\n   -------------  -------\n   el9-nochassis  no\n   el9-1          yes\n"
        );
    }
}
