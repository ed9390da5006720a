//! Call of a core to the allocator, beyond memory itself.

/// Gives the operating system back what was freed and is not likely to be wanted soon. The allocator does so
/// by itself, but only while it is being used: a core whose connections have all gone quiet would keep what
/// they needed before. Cheap: it looks at each of this thread's pages of 64 KiB or more.
pub fn give_back_free_pages() {
    // JUSTIFICATION: the allocator's crate for Rust has no call for it. SAFETY: it may be called by any
    // thread at any time; where another allocator is the global one, this one has nothing to give back.
    #[allow(unsafe_code)]
    unsafe {
        libmimalloc_sys::mi_collect(false);
    }
}
