<?php
// SPDX-License-Identifier: LGPL-2.1-or-later
$file = '/tmp/count';
$handle = fopen($file, 'c+');
flock($handle, LOCK_EX);
$count = (int)stream_get_contents($handle) + 1;
rewind($handle);
fwrite($handle, (string)$count);
fclose($handle);
header('Content-Type: text/plain');
echo 'v';
if ($_SERVER['SCRIPT_NAME'] === '/slow.php') { while (ob_get_level()) { ob_end_flush(); } flush(); sleep(1); }
echo 'ersion=', PHP_VERSION, "\nsapi=", PHP_SAPI, "\ncount=$count\n";
