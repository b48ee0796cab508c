################################################################################
#
# holdfast
#
################################################################################

HOLDFAST_VERSION = 0.1.0
HOLDFAST_SITE = $(BR2_EXTERNAL_HOLDFAST_PATH)/..
HOLDFAST_SITE_METHOD = local
HOLDFAST_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS = --exclude=/target --exclude=/VENDOR
HOLDFAST_LICENSE = Apache-2.0
HOLDFAST_LICENSE_FILES = LICENSE

# The post-build script lays the files out; see there.
HOLDFAST_INSTALL_TARGET = NO
HOLDFAST_INSTALL_IMAGES = YES
HOLDFAST_DEPENDENCIES = host-holdfast
HOST_HOLDFAST_DEPENDENCIES = host-e2fsprogs

# Buildroot vendors what it downloads; a local checkout is not downloaded.
define HOLDFAST_VENDOR
	cd $(@D) && $(HOST_MAKE_ENV) $(PKG_COMMON_CARGO_ENV) \
		cargo vendor --locked VENDOR > VENDOR.toml
endef
HOLDFAST_PRE_CONFIGURE_HOOKS += HOLDFAST_VENDOR
HOST_HOLDFAST_PRE_CONFIGURE_HOOKS += HOLDFAST_VENDOR

# image/src/binaries.rs has the reasons, and `cargo test` compares the words.
HOLDFAST_RUSTFLAGS = \
	-C target-feature=+crt-static \
	-C link-arg=-Wl,-T,image/link/no-unwinding.ld \
	-C link-arg=-Wl,--no-eh-frame-hdr \
	-C link-arg=-Wl,-z,pack-relative-relocs \
	-C llvm-args=-inline-threshold=50 \
	-C llvm-args=-inlinecold-threshold=45 \
	--cfg aes_backend="soft" --cfg aes_backend_soft="compact" \
	--cfg sha2_backend_soft="compact"

# Buildroot's profile in the environment goes over Cargo.toml's: put ours back.
HOLDFAST_CARGO_ENV = \
	CARGO_TARGET_$(call UPPERCASE,$(RUSTC_TARGET_NAME))_RUSTFLAGS='$(HOLDFAST_RUSTFLAGS)' \
	CARGO_PROFILE_RELEASE_LTO=fat \
	CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 \
	CARGO_PROFILE_RELEASE_OPT_LEVEL=3

HOLDFAST_CARGO_BUILD_OPTS = \
	--config VENDOR.toml \
	-p holdfast-server \
	-p holdfast-supervisor

define HOLDFAST_INSTALL_IMAGES_CMDS
	$(foreach program,init agent server,\
		$(INSTALL) -D -m 0755 \
			$(@D)/target/$(RUSTC_TARGET_NAME)/release/holdfast-$(program) \
			$(BINARIES_DIR)/holdfast/holdfast-$(program)
	)
endef

HOST_HOLDFAST_CARGO_BUILD_OPTS = \
	--config VENDOR.toml \
	-p holdfast-image

define HOST_HOLDFAST_INSTALL_CMDS
	$(INSTALL) -D -m 0755 $(@D)/target/release/holdfast-image \
		$(HOST_DIR)/bin/holdfast-image
endef

$(eval $(cargo-package))
$(eval $(host-cargo-package))
