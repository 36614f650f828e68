# SPDX-License-Identifier: MIT
Board=Infinity_60%
case ${Layout:-} in
hacker) Product=0xB04E ;;
alphabet) Product=0xB04F ;;
*) Product=0xB04D ;;
esac
. "${BASH_SOURCE%/*}/common.bash"
