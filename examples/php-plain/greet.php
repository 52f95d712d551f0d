<?php
header('Content-Type: text/plain; charset=utf-8');
echo 'Good day, ', $_GET['name'] ?? 'stranger', "\n";
