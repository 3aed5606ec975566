//! The macros of procession.
use proc_macro::TokenStream;
/// stub
#[proc_macro_attribute]
pub fn process(_args: TokenStream, item: TokenStream) -> TokenStream { item }
/// stub
#[proc_macro_attribute]
pub fn main(_args: TokenStream, item: TokenStream) -> TokenStream { item }
/// stub
#[proc_macro_derive(Process, attributes(process))]
pub fn derive(_item: TokenStream) -> TokenStream { TokenStream::new() }
