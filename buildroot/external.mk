include $(sort $(wildcard $(BR2_EXTERNAL_HOLDFAST_PATH)/package/*/*.mk))

# The same start as `cargo image kernel`: nothing, plus our fragments. Buildroot itself knows only
# files ending in _defconfig.
ifeq ($(BR2_PACKAGE_HOLDFAST),y)
LINUX_KCONFIG_DEFCONFIG = tinyconfig
endif
