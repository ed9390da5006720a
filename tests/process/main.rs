//! Process tests: the built server as its users meet it. A test looks for three witnesses wherever there are three:
//! what the peer saw, what the connection record says, what the counters say.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod admin;
mod advertise;
mod article;
mod badconfig;
mod balance;
mod candidate;
mod crls;
mod floods;
mod function_changes;
mod function_publish;
mod functions;
mod headers;
mod hostile;
mod hosts;
mod key_values;
mod key_values_crash;
mod limits;
mod load;
mod logs;
mod memo;
mod modes;
mod odd_keys;
mod passthrough;
mod proxy;
mod redirect;
mod reload;
mod resting;
mod resumption;
mod sending;
mod shutdown;
mod sweep;
mod viewer_function_faults;
mod viewer_functions;
mod witnesses;
