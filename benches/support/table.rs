//! Tables in Markdown, their columns aligned.

use super::measure::{Taken, by_criterion};

/// Rows under a heading.
pub(crate) struct Table {
    title: String,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(title: &str, columns: [&str; N]) -> Self {
        Self { title: title.to_owned(), rows: vec![columns.map(str::to_owned).to_vec()] }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [&str; N]) {
        self.rows.push(cells.map(str::to_owned).to_vec());
    }

    pub(crate) fn print(&self) {
        if by_criterion() {
            return;
        }
        let columns = self.rows[0].len();
        let width = |at: usize| self.rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        println!("\n### {}\n", self.title);
        for (number, row) in self.rows.iter().enumerate() {
            for (at, cell) in row.iter().enumerate() {
                let fill = " ".repeat(widths[at] - cell.chars().count());
                if at == 0 { print!("| {cell}{fill} |") } else { print!(" {fill}{cell} |") }
            }
            println!();
            if number == 0 {
                print!("|{}|", "-".repeat(widths[0] + 2));
                widths[1..].iter().for_each(|width| print!("{}:|", "-".repeat(width + 1)));
                println!();
            }
        }
    }
}

/// Nanoseconds as microseconds, three digits.
pub(crate) fn us(nanoseconds: f64) -> String {
    let us = nanoseconds / 1_000.0;
    if us < 0.995 {
        format!("{us:.3}")
    } else if us < 9.995 {
        format!("{us:.2}")
    } else if us < 99.95 {
        format!("{us:.1}")
    } else {
        format!("{us:.0}")
    }
}

/// The lowest and highest of all but the outermost tenths, in microseconds.
pub(crate) fn spread(taken: Taken) -> String {
    format!("{} to {}", us(taken.low), us(taken.high))
}

/// How many times `b` goes into `a`.
pub(crate) fn ratio(a: f64, b: f64) -> String {
    format!("{:.2}", a / b)
}

/// A line below the tables.
pub(crate) fn note(text: &str) {
    if !by_criterion() {
        println!("\n{text}");
    }
}
