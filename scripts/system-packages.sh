#!/bin/sh
# What the tests need besides Python packages: X servers, a window manager, real games, a terminal and layouts for live
# games, a browser for reports. Where this may, it installs what is missing (root, Debian or Ubuntu); else it says how.
# It never fails: without them those tests are skipped.
PATH="$PATH:/usr/games:/usr/local/games" # where Debian puts games

missing=""
for pair in Xvfb=xvfb Xephyr=xserver-xephyr openbox=openbox lbreakout2=lbreakout2 chromium=chromium xterm=xterm \
    circuslinux=circuslinux xdemineur=xdemineur kobodl=kobodeluxe setxkbmap=x11-xkb-utils; do
    command -v "${pair%%=*}" >/dev/null || missing="$missing ${pair#*=}"
done
[ -n "$missing" ] || exit 0

install() {
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086  # several words
    apt-get install -qq --yes --no-install-recommends $missing >/dev/null 2>&1
}

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing$missing, for the tests ..."
    install || { apt-get update -qq >/dev/null 2>&1; install; } && exit 0
    echo "That failed."
fi
echo "Some tests need:  sudo apt-get update && sudo apt-get install$missing"
