//! The Buildroot tree names nothing that is not there, and the kernel keeps our configuration.

#[test]
fn buildroot_tree_is_sound_and_its_kernel_fragments_survive() {
    holdfast_image::buildroot::check().unwrap_or_else(|why| panic!("{why:#}"));
}
