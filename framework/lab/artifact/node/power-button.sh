#!/bin/sh
# Powers the node off in an orderly way when its power button is pressed, which
# is what QEMU's system_powerdown does. systemd's own answer to the button needs
# D-Bus.
set -eu

modprobe -a button evdev
for name in /sys/class/input/event*/device/name; do
	if [ "$(cat "$name")" = "Power Button" ]; then
		device=${name%/device/name}
		# One event of input(4) is 24 bytes.
		head -c 24 "/dev/input/${device##*/}" >/dev/null
		# What pods wrote is safe before anything of them is ended.
		sync
		exec systemctl poweroff
	fi
done
echo "no power button: the node cannot be powered off in an orderly way" >&2
exit 1
