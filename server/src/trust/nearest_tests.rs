//! Which CA is offered, and what is said to differ.
