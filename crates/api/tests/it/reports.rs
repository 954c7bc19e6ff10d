//! Report files: uploaded unchanged, stored down to the single test case, each with a receipt.

mod cases;
mod fixtures;
mod history;
mod receipts;
mod uploads;
