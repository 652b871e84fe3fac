#!/bin/sh
# classes.sh: two sets whose classes are not the same: labels go by name, what one side lacks is told,
# and a classifier does not go on with other classes than those it has learnt.
. "$(dirname "$0")/lib.sh"

# set DIR CLASS...: images of a colour a class.
set_of() {
    dir=$1
    shift
    for class in "$@"; do
        mkdir -p "$dir/$class"
        case $class in
        bird) colour=220,40,40 ;;
        cat) colour=40,220,40 ;;
        dog) colour=40,40,220 ;;
        *) colour=200,200,30 ;;
        esac
        for i in 1 2 3 4 5 6; do
            "$draw" png "$dir/$class/$i.png" 12x12x3 $colour 8 $i
        done
    done
}
set_of train bird cat dog
set_of test bird dog
set_of more bird eel
set_of none Bird Dog

for command in "knn pixels --knn-k 3" "linear pixels"; do
    # shellcheck disable=SC2086
    status 0 "$command" $command --train folder:train --test folder:test --json
    says out '"top1":100.0000.*"n_test":12.*"unknown_class":0' "$command: classes by name"
    says err 'train has 6 images of 1 class that test lacks \(cat 6\)' "$command: what test lacks"
    # shellcheck disable=SC2086
    status 0 "$command, a new class" $command --train folder:train --test folder:more --json
    says out '"top1":50.0000.*"unknown_class":6' "$command: a class that training lacks is wrong"
    says err 'more has 6 images of 1 class that train lacks \(eel 6\), which count as wrong' \
        "$command: what training lacks"
    # shellcheck disable=SC2086
    status 0 "$command in words" $command --train folder:train --test folder:more
    says out '6 of them of classes that --train lacks' "$command: in words"
    # shellcheck disable=SC2086
    status 1 "$command, no class in common" $command --train folder:train --test folder:none
    says err 'no class is in both sets' "$command: no class in common"
done
mkdir loose && cp -r test/bird loose && cp test/dog/1.png test/dog/2.png loose
status 0 "images without a label" knn pixels --train folder:train --test folder:loose --knn-k 3 --json
says out '"n_test":6.*"test_not_taken":\{"images without a label":2' "images without a label in JSON"
says err '2 of 8 images of loose have no label and are left out' "images without a label are told"
status 0 "two sets" data folder:train --test folder:more
says out '^untrained +1' "classes without an image in the first"
says out '^untested +2' "classes without an image in the second"

settings="$small --method semi-supervised --knn-every 1 --knn-k 3 --knn-train folder:train \
--knn-test folder:test"
# shellcheck disable=SC2086
status 0 "a classifier" train folder:train --out run $settings
says err 'test lacks \(cat 6\)' "the run says what test lacks"
mv train/cat train/ant
# shellcheck disable=SC2086
status 1 "other classes" train folder:train --out run $settings --resume
says err 'learns the classes of the data it was started on' "other classes are refused"
finish classes
