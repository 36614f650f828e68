# SPDX-License-Identifier: MIT
Board=WhiteFox
case ${Layout:-truefox} in
aria) Product=0xB04D ;;
iso) Product=0xB04E ;;
jackofalltrades) Product=0xB04F ;;
vanilla) Product=0xB050 ;;
winkeyless) Product=0xB051 ;;
*) Product=0xB052 ;;
esac
. "${BASH_SOURCE%/*}/common.bash"
