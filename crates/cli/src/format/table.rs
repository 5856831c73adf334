//! Columns aligned as Go's `text/tabwriter` aligns them: a column is a run of adjacent lines that
//! have a tab-terminated cell there, and is as wide as its widest cell.

/// How cells are padded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    /// The least width of a column, padding included.
    pub(crate) min_width: usize,
    /// Spaces after the widest cell.
    pub(crate) padding: usize,
}

/// `ps`, `images` and every other list.
pub(crate) const LIST: Layout = Layout { min_width: 10, padding: 3 };
/// `top`.
pub(crate) const TOP: Layout = Layout { min_width: 20, padding: 3 };

/// Aligns text whose cells end with tabs. Cells of the last column are not padded.
pub(crate) fn align(text: &str, layout: Layout) -> String {
    let lines: Vec<Vec<&str>> = text.split('\n').map(|line| line.split('\t').collect()).collect();
    let mut widths: Vec<Vec<usize>> = lines.iter().map(|cells| vec![0; cells.len() - 1]).collect();
    settle(&lines, 0, lines.len(), 0, layout, &mut widths);
    let mut out = String::with_capacity(text.len() * 2);
    for (index, cells) in lines.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        for (column, cell) in cells.iter().enumerate() {
            out.push_str(cell);
            if let Some(width) = widths[index].get(column) {
                out.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count())));
            }
        }
    }
    out
}

/// Sets the widths of `column` for each run of lines in `from..to` that have it, and then of the
/// columns to its right within that run.
fn settle(
    lines: &[Vec<&str>],
    from: usize,
    to: usize,
    column: usize,
    layout: Layout,
    widths: &mut [Vec<usize>],
) {
    let mut line = from;
    while line < to {
        if lines[line].len() <= column + 1 {
            line += 1;
            continue;
        }
        let end = (line..to).find(|at| lines[*at].len() <= column + 1).unwrap_or(to);
        let widest = (line..end).map(|at| lines[at][column].chars().count()).max().unwrap_or(0);
        let width = (widest + layout.padding).max(layout.min_width);
        widths[line..end].iter_mut().for_each(|row| row[column] = width);
        settle(lines, line, end, column + 1, layout, widths);
        line = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_a_least_width_and_the_last_is_ragged() {
        let text = "ID\tNAME\n1\ta long name here\n";
        assert_eq!(align(text, LIST), "ID        NAME\n1         a long name here\n");
        assert_eq!(
            align("a long first cell\tx\tz\nb\ty\tz", LIST),
            "a long first cell   x         z\nb                   y         z"
        );
    }

    #[test]
    fn a_line_without_the_column_ends_it() {
        assert_eq!(align("aaaaaaaaaaaa\tx\nno cells\nb\ty", LIST), "aaaaaaaaaaaa   x\nno cells\nb         y");
    }
}
