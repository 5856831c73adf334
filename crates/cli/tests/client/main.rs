//! `berth` as a program, against a daemon of canned answers and beside the real `docker` client.

mod compare;
mod fake;
mod help;
mod run;
